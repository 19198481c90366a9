// Command straddle-prover compiles, sets up, checks and proves circuits; see docs/reference/witness.md. Results are JSON on standard output,
// progress is JSON lines on standard error.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/consensys/gnark/backend/groth16"
	"github.com/consensys/gnark/logger"

	"straddle/native/prover"
)

const usage = `usage:
  straddle-prover circuit --preset P --cache DIR
  straddle-prover rows --preset P
  straddle-prover setup --preset P --cache DIR
  straddle-prover check --witness FILE
  straddle-prover check-many --witnesses FILE
  straddle-prover prove --cache DIR --witness FILE
  straddle-prover serve --preset P --cache DIR`

func main() {
	logger.Disable() // gnark's own log would mix with the output
	if err := run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "straddle-prover:", err)
		os.Exit(1)
	}
}

type command struct {
	options map[string]*string
	in      io.Reader
	out     io.Writer
	report  prover.Report
}

func run(arguments []string, stdin io.Reader, stdout, stderr io.Writer) error {
	commands := map[string]struct {
		options []string
		run     func(*command) error
	}{
		"circuit": {[]string{"preset", "cache"}, (*command).circuit},
		"rows":    {[]string{"preset"}, (*command).rows},
		"setup":   {[]string{"preset", "cache"}, (*command).setup},
		"check":   {[]string{"witness"}, (*command).check},
		"prove":   {[]string{"cache", "witness"}, (*command).prove},
		"serve":   {[]string{"preset", "cache"}, (*command).serve},

		"check-many": {[]string{"witnesses"}, (*command).checkMany},
	}
	if len(arguments) == 0 {
		return errors.New(usage)
	}
	chosen, ok := commands[arguments[0]]
	if !ok {
		return fmt.Errorf("unknown command %q\n%s", arguments[0], usage)
	}
	lines := json.NewEncoder(stderr)
	c := &command{options: map[string]*string{}, in: stdin, out: stdout, report: func(p prover.Progress) { _ = lines.Encode(p) }}
	flags := flag.NewFlagSet(arguments[0], flag.ContinueOnError)
	flags.SetOutput(stderr)
	for _, option := range chosen.options {
		c.options[option] = flags.String(option, "", "required")
	}
	if err := flags.Parse(arguments[1:]); err != nil {
		return fmt.Errorf("%w\n%s", err, usage)
	}
	for _, option := range chosen.options {
		if *c.options[option] == "" {
			return fmt.Errorf("--%s is missing\n%s", option, usage)
		}
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q\n%s", flags.Arg(0), usage)
	}
	return chosen.run(c)
}

func (c *command) print(v any) error { return json.NewEncoder(c.out).Encode(v) }

func (c *command) cache() prover.Cache { return prover.Cache{Directory: *c.options["cache"]} }

func (c *command) circuit() error {
	circuit, err := c.cache().Identity(*c.options["preset"], c.report)
	if err != nil {
		return err
	}
	return c.print(circuit)
}

func (c *command) rows() error {
	kinds, err := prover.RowKinds(*c.options["preset"])
	if err != nil {
		return err
	}
	return c.print(kinds)
}

func (c *command) setup() error {
	key, err := c.verifying(*c.options["preset"])
	if err != nil {
		return err
	}
	return c.print(prover.EncodeVerifyingKey(key))
}

// verifying finds the key of a circuit that this program knows, or compiles it, once, and finds or makes its keys.
func (c *command) verifying(name string) (groth16.VerifyingKey, error) {
	if known, ok := c.cache().Known(name); ok {
		if key, err := c.cache().LoadVerifying(known); !errors.Is(err, prover.ErrNoKeys) {
			return key, err
		}
	}
	circuit, err := c.cache().Compile(name, c.report)
	if err != nil {
		return nil, err
	}
	if key, err := c.cache().LoadVerifying(circuit.Identity); !errors.Is(err, prover.ErrNoKeys) {
		return key, err
	}
	keys, err := c.cache().Setup(circuit, c.report)
	if err != nil {
		return nil, err
	}
	return keys.Verifying(), nil
}

// read decodes a witness file and makes the circuit's inputs.
func read(path string) (*prover.Assignment, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return prover.Read(data)
}

// check answers on standard output, whatever is wrong with the witness; only a failure to answer is an error.
func (c *command) check() error {
	assignment, err := read(*c.options["witness"])
	if err == nil {
		var circuit *prover.Circuit
		if circuit, err = prover.Compile(assignment.Circuit, c.report); err != nil {
			return err
		}
		c.report(prover.Progress{Stage: "solve"})
		err = circuit.Check(assignment)
	}
	if err != nil {
		return c.print(map[string]any{"ok": false, "error": err.Error()})
	}
	return c.print(map[string]any{"ok": true})
}

func (c *command) prove() error {
	assignment, err := read(*c.options["witness"])
	if err != nil {
		return err
	}
	circuit, keys, err := c.load(assignment.Circuit)
	if err != nil {
		return err
	}
	answer, err := c.proveOne(circuit, keys, assignment)
	if err != nil {
		return err
	}
	return c.print(answer)
}

// load compiles a circuit and loads its keys.
func (c *command) load(preset string) (*prover.Circuit, *prover.Keys, error) {
	circuit, err := c.cache().Compile(preset, c.report)
	if err != nil {
		return nil, nil, err
	}
	c.report(prover.Progress{Stage: "load keys"})
	keys, err := c.cache().Load(circuit.Identity)
	return circuit, keys, err
}

type proved struct {
	*prover.Proof
	prover.Cost
}

func (c *command) proveOne(circuit *prover.Circuit, keys *prover.Keys, assignment *prover.Assignment) (*proved, error) {
	c.report(prover.Progress{Stage: "prove"})
	proof, cost, err := circuit.Prove(keys, assignment)
	if err != nil {
		return nil, err
	}
	return &proved{proof, cost}, nil
}
