package batch

import (
	"testing"

	"straddle/native/circuit/argument"
)

func TestAuditOfNano(t *testing.T) {
	crossings, err := argument.Audit(compiledNano(t))
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range crossings {
		if i < 10 {
			t.Errorf("wire %d enters after the challenge and is free before it: %s", c.Wire, c.Constraint)
		}
	}
	if len(crossings) > 0 {
		t.Fatalf("%d crossings", len(crossings))
	}
}
