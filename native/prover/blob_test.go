package prover

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"straddle/native/circuit/batch"
)

// TestBlobCircuit: a witness names the circuit of its data; neither circuit takes the other's y, and their keys are not the same.
func TestBlobCircuit(t *testing.T) {
	data, err := os.ReadFile("../circuit/batch/testdata/nano.json")
	if err != nil {
		t.Fatal(err)
	}
	renamed := bytes.Replace(data, []byte(`"nano"`), []byte(`"nano-`+batch.BlobSuffix+`"`), 1)
	if _, err := Read(renamed); err == nil || !strings.Contains(err.Error(), "public.y_body") {
		t.Errorf("a calldata y in a blob's witness: %v", err)
	}
	assignment, err := ReadUnchecked(renamed)
	if err != nil {
		t.Fatal(err)
	}
	if assignment.Circuit != "nano-blob" {
		t.Fatalf("circuit %q", assignment.Circuit)
	}
	inBlob, err := Compile("nano-blob", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := inBlob.Check(assignment); err == nil {
		t.Error("the blob's circuit takes a calldata y")
	}
	inCalldata, err := Compile("nano", nil)
	if err != nil {
		t.Fatal(err)
	}
	if inBlob.Digest == inCalldata.Digest {
		t.Error("two circuits have one digest")
	}
}
