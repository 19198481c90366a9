package batch

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"

	"straddle/native/circuit/inspect"
)

var update = flag.Bool("update", false, "rewrite testdata")

const nanoFile = "testdata/nano.json"

func nanoJSON(t testing.TB) []byte {
	t.Helper()
	data, err := inspect.Quoted(newFixture(t, nanoPreset(t), 1).witness())
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestNanoFileIsTheFixture(t *testing.T) {
	want := nanoJSON(t)
	if *update {
		if err := os.WriteFile(nanoFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(nanoFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatal("testdata/nano.json is not what the fixture makes; run go test -run NanoFile -update")
	}
	w, err := Decode(got)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Assign(w)
	if err != nil {
		t.Fatal(err)
	}
	if err := solve(t, compiledNano(t), c); err != nil {
		t.Fatal(err)
	}
}

// TestDecodeRefuses edits the file's text and expects an error that names the field.
func TestDecodeRefuses(t *testing.T) {
	data := nanoJSON(t)
	for _, c := range []struct {
		name string
		edit func(tree map[string]any)
		want string
	}{
		{"unknown field", func(tree map[string]any) { at(tree, "header")["colour"] = 1 }, "header.colour: unknown field"},
		{"unknown table", func(tree map[string]any) { tree["swaps"] = []any{} }, "swaps: unknown field"},
		{"missing field", func(tree map[string]any) { delete(at(tree, "accounts", 1, "old"), "cash") }, "accounts[1].old.cash: missing"},
		{"missing table", func(tree map[string]any) { delete(tree, "queue") }, "queue: missing"},
		{"too large", func(tree map[string]any) { at(tree, "header")["time_ms"] = "281474976710656" },
			"header.time_ms: 281474976710656, expected 0 to 281474976710655"},
		{"negative", func(tree map[string]any) { at(tree, "fills", 0)["size"] = -1 }, "fills[0].size: -1, expected 0"},
		{"modulus", func(tree map[string]any) {
			at(tree, "public")["c"] = "21888242871839275222246405745257275088548364400416034343698204186575808495617"
		}, "public.c: 2188"},
		{"size at its bound", func(tree map[string]any) { at(tree, "positions", 0)["new"] = "-1099511627776" }, "positions[0].new: -1099511627776"},
		{"cash at its bound", func(tree map[string]any) { at(tree, "accounts", 0, "new")["cash"] = "-9223372036854775808" }, "accounts[0].new.cash"},
		{"fraction", func(tree map[string]any) { at(tree, "fills", 0)["price"] = 1.5 }, "fills[0].price: number 1.5, expected an integer"},
		{"hexadecimal", func(tree map[string]any) { at(tree, "public")["z"] = "0x10" }, `public.z: string "0x10", expected an integer`},
		{"null", func(tree map[string]any) { tree["orders"] = nil }, "orders: null, expected an array"},
		{"object for array", func(tree map[string]any) { at(tree, "accounts", 0)["path"] = map[string]any{} }, "accounts[0].path: an object, expected an array"},
		{"queue kind", func(tree map[string]any) { at(tree, "queue", 0)["kind"] = 5 }, "queue[0].kind: 5, expected 1 to 4"},
		{"listing kind", func(tree map[string]any) { at(tree, "listings", 0)["kind"] = 0 }, "listings[0].kind: 0, expected 1 to 6"},
		{"underlying", func(tree map[string]any) { at(tree, "listings", 0)["underlying"] = 2 }, "listings[0].underlying: 2"},
		{"preset", func(tree map[string]any) { tree["preset"] = "huge" }, `preset: preset "huge": expected one of [demo nano standard]`},
		{"short path", func(tree map[string]any) {
			a := at(tree, "accounts", 2)
			a["path"] = a["path"].([]any)[1:]
		}, "accounts[2].path: 7 elements, expected 8"},
		{"deltas", func(tree map[string]any) {
			a := at(tree, "instruments", 2)
			a["deltas"] = a["deltas"].([]any)[1:]
		}, "instruments[2].deltas: 47 elements, expected 48"},
		{"too many rows", func(tree map[string]any) {
			rows := tree["withdrawals"].([]any)
			tree["withdrawals"] = append(rows, rows[0], rows[0])
		}, `withdrawals: 3 rows, preset "nano" holds 2`},
		{"taker", func(tree map[string]any) { at(tree, "fills", 1)["taker"] = 13 }, "fills[1].taker: 13, expected 0 to 12"},
		{"maker", func(tree map[string]any) { at(tree, "fills", 1)["maker"] = -1 }, "fills[1].maker: -1"},
		{"signature index", func(tree map[string]any) { at(tree, "orders", 0)["signature"] = 8 }, "orders[0].signature: 8, expected 0 to 7"},
		{"leg's order", func(tree map[string]any) { at(tree, "legs", 12)["order"] = 10 }, "legs[12].order: 10, expected 0 to 9"},
		{"leg's place", func(tree map[string]any) { at(tree, "legs", 3)["place"] = 4 }, "legs[3].place: 4, expected 0 to 3"},
		{"leg's ratio", func(tree map[string]any) { at(tree, "legs", 3)["ratio"] = 0 }, "legs[3].ratio: 0, expected 1 to 127"},
		{"transfer's signature", func(tree map[string]any) { at(tree, "transfers", 0)["signature"] = -1 }, "transfers[0].signature: -1, expected 0 to 7"},
		{"takeover's signature", func(tree map[string]any) { at(tree, "takeovers", 0)["signature"] = -2 }, "takeovers[0].signature: -2, expected -1 to 7"},
		{"fraction", func(tree map[string]any) { at(tree, "takeovers", 0)["fraction_bps"] = 10_001 }, "takeovers[0].fraction_bps: 10001"},
		{"account id", func(tree map[string]any) { at(tree, "accounts", 4)["id"] = 256 }, "accounts[4].id: 256, expected an index of a tree of depth 8"},
		{"c", func(tree map[string]any) { at(tree, "public")["c"] = 1 }, "public.c: 1, expected"},
		{"y_effects", func(tree map[string]any) { at(tree, "public")["y_effects"] = 1 }, "public.y_effects: 1, expected"},
		{"y_body", func(tree map[string]any) { at(tree, "public")["y_body"] = 1 }, "public.y_body: 1, expected"},
		{"new root", func(tree map[string]any) { at(tree, "header")["new_accounts_root"] = 1 }, "header.new_accounts_root: 1, expected"},
		{"old root", func(tree map[string]any) { at(tree, "header")["old_accounts_root"] = 1 }, "accounts[0].old: the leaf does not open"},
		{"risk root", func(tree map[string]any) { at(tree, "header")["risk_root"] = 1 }, "header.risk_root: 1, expected"},
		{"listings root", func(tree map[string]any) { at(tree, "header")["new_listings_root"] = 1 }, "header.new_listings_root: 1, expected"},
		{"listing id", func(tree map[string]any) { at(tree, "listings", 3)["id"] = 10 }, "listings[3].id: 10, expected 9"},
		{"digest", func(tree map[string]any) { at(tree, "positions", 0)["old"] = 3 }, "accounts[1].old.positions_digest"},
		{"digest of a closed account", func(tree map[string]any) { at(tree, "accounts", 9, "new")["positions_digest"] = 1 },
			"accounts[9].new.positions_digest"},
		{"legs", func(tree map[string]any) { at(tree, "legs", 4)["instrument"] = 2 }, "orders[3].set_path"},
		{"set", func(tree map[string]any) { at(tree, "orders", 0)["fee_cap"] = 11 }, "orders[0].set_path"},
		{"slot", func(tree map[string]any) { at(tree, "orders", 0, "slot_old")["filled"] = 6 }, "orders[0].orders_root_old"},
		{"signature", func(tree map[string]any) { at(tree, "signatures", 4)["s"] = 6 }, "signatures[4]: not a signature of account 3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var tree map[string]any
			if err := json.Unmarshal(data, &tree); err != nil {
				t.Fatal(err)
			}
			decoder := json.NewDecoder(bytes.NewReader(data))
			decoder.UseNumber()
			if err := decoder.Decode(&tree); err != nil {
				t.Fatal(err)
			}
			c.edit(tree)
			edited, err := json.Marshal(tree)
			if err != nil {
				t.Fatal(err)
			}
			w, err := Decode(edited)
			if err == nil {
				_, err = Assign(w)
			}
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Fatalf("got %v, expected %s", err, c.want)
			}
		})
	}
	for _, text := range []string{"", "[]", "{", string(data) + "{}"} {
		if _, err := Decode([]byte(text)); err == nil {
			t.Fatalf("accepted %.20q", text)
		}
	}
}

// at walks down objects and arrays.
func at(v any, path ...any) map[string]any {
	for _, step := range path {
		if key, ok := step.(string); ok {
			v = v.(map[string]any)[key]
		} else {
			v = v.([]any)[step.(int)]
		}
	}
	return v.(map[string]any)
}
