package main

import (
	"bufio"
	"fmt"

	"straddle/native/prover"
)

// serve proves one witness after another: it compiles and loads the keys once, says {"ready": true}, and then answers every line of standard input, the
// path of a witness file, with a line: the proof, or {"error": ".."}. It ends with its input, so it never outlives its owner.
func (c *command) serve() error {
	circuit, keys, err := c.load(*c.options["preset"])
	if err != nil {
		return err
	}
	if err := c.print(map[string]any{"ready": true, "digest": circuit.Digest}); err != nil {
		return err
	}
	lines := bufio.NewScanner(c.in)
	for lines.Scan() {
		var answer any
		if answer, err = c.answer(circuit, keys, lines.Text()); err != nil {
			answer = map[string]any{"error": err.Error()}
		}
		if err := c.print(answer); err != nil {
			return err
		}
	}
	return lines.Err()
}

func (c *command) answer(circuit *prover.Circuit, keys *prover.Keys, path string) (*proved, error) {
	assignment, err := read(path)
	if err != nil {
		return nil, err
	}
	if served := circuit.Name; assignment.Circuit != served {
		return nil, fmt.Errorf("preset: %q, this prover serves %q", assignment.Circuit, served)
	}
	return c.proveOne(circuit, keys, assignment)
}
