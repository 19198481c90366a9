package crypto

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"testing"

	"github.com/consensys/gnark-crypto/ecc/bn254/fr"
	"github.com/consensys/gnark-crypto/ecc/bn254/fr/poseidon2"
	te "github.com/consensys/gnark-crypto/ecc/bn254/twistededwards"
)

// The vectors under tests/vectors are shared with the Python tests. `go test ./crypto -update` writes them anew; without the flag every value in them
// is computed again from its inputs and compared.
var update = flag.Bool("update", false, "write tests/vectors/*.json")

const vectorDirectory = "../../tests/vectors"

type compressVector struct {
	Left  string `json:"left"`
	Right string `json:"right"`
	Out   string `json:"out"`
}

type spongeVector struct {
	Tag   string   `json:"tag"`
	Words []string `json:"words"`
	Out   string   `json:"out"`
}

type leafVector struct {
	Index uint64 `json:"index"`
	Leaf  string `json:"leaf"`
}

type treeVector struct {
	Depth       int          `json:"depth"`
	DefaultLeaf string       `json:"default_leaf"`
	EmptyRoot   string       `json:"empty_root"`
	Leaves      []leafVector `json:"leaves"`
	Root        string       `json:"root"`
	PathIndex   uint64       `json:"path_index"`
	Path        []string     `json:"path"`
}

type setVector struct {
	Leaves []string `json:"leaves"`
	Root   string   `json:"root"`
	Index  int      `json:"index"`
	Path   []string `json:"path"`
}

type hashingVectors struct {
	Compress []compressVector `json:"compress"`
	Sponge   []spongeVector   `json:"sponge"`
	Trees    []treeVector     `json:"trees"`
	Sets     []setVector      `json:"sets"`
}

type poseidonVectors struct {
	Width            int        `json:"width"`
	Full             int        `json:"full"`
	Partial          int        `json:"partial"`
	RoundKeys        [][]string `json:"round_keys"`
	DiagonalMinusOne []string   `json:"diagonal_minus_one"`
	Input            []string   `json:"input"`
	Output           []string   `json:"output"`
}

type keyVector struct {
	Secret   string    `json:"secret"`
	Public   [2]string `json:"public"`
	Base     [2]string `json:"base"`
	Multiple [2]string `json:"multiple"`
}

type signatureVector struct {
	Name      string               `json:"name"`
	Secret    string               `json:"secret"` // empty unless Sign makes exactly this signature
	Public    [2]string            `json:"public"`
	Words     [MessageWords]string `json:"words"`
	Signature [3]string            `json:"signature"` // R.x, R.y, s
	Valid     bool                 `json:"valid"`
}

type signatureVectors struct {
	Order      string            `json:"order"`
	Generator  [2]string         `json:"generator"`
	Keys       []keyVector       `json:"keys"`
	Signatures []signatureVector `json:"signatures"`
}

// element is a reproducible field element: a hash of a label.
func element(label string, i int) fr.Element {
	var seed fr.Element
	seed.SetInt64(int64(i))
	return Sponge("test."+label, seed)
}

func text(e fr.Element) string { return e.BigInt(new(big.Int)).String() }

func texts(elements []fr.Element) []string {
	out := make([]string, len(elements))
	for i := range elements {
		out[i] = text(elements[i])
	}
	return out
}

func parse(t *testing.T, decimal string) fr.Element {
	t.Helper()
	n := number(t, decimal)
	if n.Sign() < 0 || n.Cmp(fr.Modulus()) >= 0 {
		t.Fatalf("%s is no canonical element", decimal)
	}
	var e fr.Element
	e.SetBigInt(n)
	return e
}

func parseAll(t *testing.T, decimals []string) []fr.Element {
	t.Helper()
	out := make([]fr.Element, len(decimals))
	for i := range decimals {
		out[i] = parse(t, decimals[i])
	}
	return out
}

func number(t *testing.T, decimal string) *big.Int {
	t.Helper()
	n, ok := new(big.Int).SetString(decimal, 10)
	if !ok {
		t.Fatalf("%q is no number", decimal)
	}
	return n
}

// integers encodes numbers that may be too big for an element.
func integers(t *testing.T, decimals ...string) []byte {
	t.Helper()
	var out []byte
	for _, decimal := range decimals {
		out = append(out, number(t, decimal).FillBytes(make([]byte, WordBytes))...)
	}
	return out
}

// shared writes the vectors under -update, then reads the file into a fresh value.
func shared[T any](t *testing.T, name string, make func() T) T {
	t.Helper()
	path := filepath.Join(vectorDirectory, name)
	if *update {
		out, err := json.MarshalIndent(make(), "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append(out, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var value T
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&value); err != nil {
		t.Fatal(err)
	}
	return value
}

func makeHashing() hashingVectors {
	var v hashingVectors
	var zero, one, last fr.Element
	one.SetOne()
	last.SetInt64(-1)
	pairs := [][2]fr.Element{{zero, zero}, {zero, one}, {one, zero}, {last, last}}
	for i := range 8 {
		pairs = append(pairs, [2]fr.Element{element("left", i), element("right", i)})
	}
	for _, p := range pairs {
		v.Compress = append(v.Compress, compressVector{text(p[0]), text(p[1]), text(Compress(p[0], p[1]))})
	}
	for _, tag := range []string{"a", "straddle.signature", "tag.of.twenty.four.bytes"} {
		for _, n := range []int{1, 2, 10, 14, 15, 16, 29, 30, 31, 45, 100} {
			words := make([]fr.Element, n)
			for i := range words {
				words[i] = element("word", i)
			}
			if n == 2 {
				words = []fr.Element{zero, last}
			}
			v.Sponge = append(v.Sponge, spongeVector{tag, texts(words), text(Sponge(tag, words...))})
		}
	}
	for _, depth := range []int{0, 1, 6, 20, 63} {
		leaf := element("default", depth)
		tree := NewTree(depth, leaf)
		tv := treeVector{Depth: depth, DefaultLeaf: text(leaf), EmptyRoot: text(tree.Root())}
		for i := range 9 {
			position := element("index", i)
			index := position.Bits()[0] & (1<<depth - 1)
			tree.Set(index, element("leaf", i))
			tv.Leaves = append(tv.Leaves, leafVector{index, text(element("leaf", i))})
		}
		tv.Root, tv.PathIndex = text(tree.Root()), tv.Leaves[3].Index
		tv.Path = texts(tree.Path(tv.PathIndex))
		v.Trees = append(v.Trees, tv)
	}
	for _, count := range []int{1, 2, 3, 5, 33, 63, 64} {
		leaves, index := setLeaves(count), count*2/3
		path := SetPath(leaves, index)
		v.Sets = append(v.Sets, setVector{texts(leaves), text(setRootByDefinition(leaves)), index, texts(path[:])})
	}
	return v
}

func TestHashingVectors(t *testing.T) {
	v := shared(t, "hashing.json", makeHashing)
	for i, c := range v.Compress {
		if got := text(Compress(parse(t, c.Left), parse(t, c.Right))); got != c.Out {
			t.Errorf("compress %d: %s, expected %s", i, got, c.Out)
		}
	}
	for i, s := range v.Sponge {
		if got := text(Sponge(s.Tag, parseAll(t, s.Words)...)); got != s.Out {
			t.Errorf("sponge %d (%s, %d words): %s, expected %s", i, s.Tag, len(s.Words), got, s.Out)
		}
	}
	for _, tv := range v.Trees {
		tree := NewTree(tv.Depth, parse(t, tv.DefaultLeaf))
		if got := text(tree.Root()); got != tv.EmptyRoot {
			t.Errorf("depth %d: empty root %s, expected %s", tv.Depth, got, tv.EmptyRoot)
		}
		for _, leaf := range tv.Leaves {
			tree.Set(leaf.Index, parse(t, leaf.Leaf))
		}
		if got := text(tree.Root()); got != tv.Root {
			t.Errorf("depth %d: root %s, expected %s", tv.Depth, got, tv.Root)
		}
		if got := fmt.Sprint(texts(tree.Path(tv.PathIndex))); got != fmt.Sprint(tv.Path) {
			t.Errorf("depth %d: path %s, expected %s", tv.Depth, got, tv.Path)
		}
	}
	for i, s := range v.Sets {
		leaves := parseAll(t, s.Leaves)
		path := SetPath(leaves, s.Index)
		if got := text(SetRoot(leaves)); got != s.Root || fmt.Sprint(texts(path[:])) != fmt.Sprint(s.Path) {
			t.Errorf("set %d: root %s, path %s", i, got, texts(path[:]))
		}
	}
	if len(v.Sets) < 7 || len(v.Compress) < 12 || len(v.Sponge) < 33 || len(v.Trees) < 5 {
		t.Error("vectors are missing")
	}
}

func makePoseidon() []poseidonVectors {
	var out []poseidonVectors
	for _, n := range [][3]int{{NarrowWidth, NarrowFull, NarrowPartial}, {WideWidth, WideFull, WidePartial}} {
		parameters := poseidon2.NewParameters(n[0], n[1], n[2])
		v := poseidonVectors{Width: n[0], Full: n[1], Partial: n[2], DiagonalMinusOne: texts(parameters.DiagM1)}
		for _, keys := range parameters.RoundKeys {
			v.RoundKeys = append(v.RoundKeys, texts(keys))
		}
		state := make([]fr.Element, n[0])
		for i := range state {
			state[i].SetInt64(int64(i))
		}
		v.Input = texts(state)
		permute(poseidon2.NewPermutation(n[0], n[1], n[2]), state)
		v.Output = texts(state)
		out = append(out, v)
	}
	return out
}

// TestPoseidonVectors pins gnark-crypto's constants: an upgrade that changed them would change every root.
func TestPoseidonVectors(t *testing.T) {
	want := shared(t, "poseidon2.json", makePoseidon)
	if got := makePoseidon(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Error("the parameters of Poseidon2 have changed")
	}
}

func secretOf(i int) *big.Int {
	secret := new(big.Int).SetBytes([]byte(fmt.Sprintf("secret number %d", i)))
	if i%2 == 1 {
		secret.Sub(Order(), secret)
	}
	return secret
}

func coordinates(p te.PointAffine) [2]string { return [2]string{text(p.X), text(p.Y)} }

func makeKey(secret *big.Int) keyVector {
	A := PublicKey(secret)
	return keyVector{secret.String(), coordinates(A), coordinates(KeyBase(secret)), coordinates(Multiple(&A))}
}

func makeSignatures() signatureVectors {
	v := signatureVectors{Order: Order().String(), Generator: coordinates(Base())}
	v.Keys = append(v.Keys, makeKey(big.NewInt(1)), makeKey(new(big.Int).Sub(Order(), big.NewInt(1))))
	for i := range 4 {
		v.Keys = append(v.Keys, makeKey(secretOf(i)))
	}
	for i := range 6 {
		secret, msg := secretOf(i/2), message(i)
		c := newCase(fmt.Sprintf("signed %d", i), PublicKey(secret), msg, Sign(secret, msg))
		v.Signatures = append(v.Signatures, c.withSecret(secret).valid())
	}
	var zeros [MessageWords]fr.Element
	c := newCase("signed zeros", PublicKey(secretOf(0)), zeros, Sign(secretOf(0), zeros))
	v.Signatures = append(v.Signatures, c.withSecret(secretOf(0)).valid())
	v.Signatures = append(v.Signatures, makeRefusals()...)
	return v
}

func message(i int) (msg [MessageWords]fr.Element) {
	for j := range msg {
		msg[j] = element("message", MessageWords*i+j)
	}
	return msg
}

func TestSignatureVectors(t *testing.T) {
	v := shared(t, "signatures.json", makeSignatures)
	if v.Order != Order().String() || v.Generator != coordinates(Base()) {
		t.Error("the curve has changed")
	}
	for i, k := range v.Keys {
		if got := makeKey(number(t, k.Secret)); got != k {
			t.Errorf("key %d: %v, expected %v", i, got, k)
		}
	}
	valid, refused := 0, 0
	for _, s := range v.Signatures {
		ok, err := VerifyEncoded(integers(t, s.Public[:]...), integers(t, s.Words[:]...), integers(t, s.Signature[:]...))
		if err != nil || ok != s.Valid {
			t.Errorf("%s: valid %v (%v), expected %v", s.Name, ok, err, s.Valid)
		}
		if s.Valid {
			valid++
		} else {
			refused++
		}
		if s.Secret == "" {
			continue
		}
		sig := Sign(number(t, s.Secret), [MessageWords]fr.Element(parseAll(t, s.Words[:])))
		if got := [3]string{text(sig.R.X), text(sig.R.Y), sig.S.String()}; got != s.Signature {
			t.Errorf("%s: signature %v, expected %v", s.Name, got, s.Signature)
		}
	}
	if valid < 7 || refused < 30 {
		t.Errorf("%d valid and %d refused signatures: vectors are missing", valid, refused)
	}
}
