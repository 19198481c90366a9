package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"straddle/native/prover"
)

// verdict on one witness: what the reader says, and what the solver says by itself. Solver is absent where the witness cannot be put before it.
type verdict struct {
	OK     bool   `json:"ok"`
	Error  string `json:"error,omitempty"`
	Solver *bool  `json:"solver,omitempty"`
}

// checkMany answers for each line of a file of witnesses (JSON without line breaks), compiling each circuit once.
func (c *command) checkMany() error {
	file, err := os.Open(*c.options["witnesses"])
	if err != nil {
		return err
	}
	defer file.Close()
	circuits := map[string]*prover.Circuit{}
	lines := bufio.NewReader(file)
	for number := 1; ; number++ {
		line, err := lines.ReadBytes('\n')
		if len(line) == 0 && errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("line %d: %w", number, err)
		}
		answer, err := c.judge(line, circuits)
		if err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		if err := c.print(answer); err != nil {
			return err
		}
	}
}

// judge errors only where it cannot answer.
func (c *command) judge(line []byte, circuits map[string]*prover.Circuit) (verdict, error) {
	_, refused := prover.Read(line)
	assignment, err := prover.ReadUnchecked(line)
	if err != nil {
		return verdict{Error: err.Error()}, nil
	}
	known := circuits[assignment.Circuit]
	if known == nil {
		if known, err = prover.Compile(assignment.Circuit, c.report); err != nil {
			return verdict{}, err
		}
		circuits[assignment.Circuit] = known
	}
	unsolved := known.Check(assignment)
	solved := unsolved == nil
	if err := errors.Join(refused, unsolved); err != nil {
		return verdict{Error: err.Error(), Solver: &solved}, nil
	}
	return verdict{OK: true, Solver: &solved}, nil
}
