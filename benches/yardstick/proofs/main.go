// The yardstick for benches/proofs.rs: what Go's own transparency-log packages (golang.org/x/mod/sumdb/note and tlog, as
// the go command carries them) take for a signed tree head, an inclusion proof, and a record hash read from tiles.
//
// usage: proofs RUNS FOLDER
//
// FOLDER has: key (verifier key), note, id (record number), leaf and proof (hashes in base64, a line each), and the tiles.
// Prints the best time of so many runs for each, in nanoseconds.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

var folder = os.Args[2]

func main() {
	runs, err := strconv.Atoi(os.Args[1])
	check(err)
	verifier, err := note.NewVerifier(strings.TrimSpace(string(read("key"))))
	check(err)
	verifiers := note.VerifierList(verifier)
	signed := read("note")
	opened, err := note.Open(signed, verifiers)
	check(err)
	tree, err := tlog.ParseTree([]byte(opened.Text))
	check(err)
	id, err := strconv.ParseInt(strings.TrimSpace(string(read("id"))), 10, 64)
	check(err)
	leaf := hashes("leaf")[0]
	proof := tlog.RecordProof(hashes("proof"))
	tiles := &memory{bytes: map[tlog.Tile][]byte{}}
	index := []int64{tlog.StoredHashIndex(0, id)}

	fmt.Println("note", best(runs, func() {
		_, err := note.Open(signed, verifiers)
		check(err)
	}))
	fmt.Println("proof", best(runs, func() {
		check(tlog.CheckRecord(proof, tree.N, tree.Hash, id, leaf))
	}))
	fmt.Println("tiles", best(runs, func() {
		found, err := tlog.TileHashReader(tree, tiles).ReadHashes(index)
		check(err)
		if found[0] != leaf {
			panic("another hash")
		}
	}))
}

// memory reads each tile from its file once.
type memory struct {
	bytes map[tlog.Tile][]byte
}

func (m *memory) Height() int { return 8 }

func (m *memory) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		if m.bytes[tile] == nil {
			m.bytes[tile] = read(tile.Path())
		}
		all = append(all, m.bytes[tile])
	}
	return all, nil
}

func (m *memory) SaveTiles([]tlog.Tile, [][]byte) {}

func best(runs int, work func()) int64 {
	best := time.Duration(1 << 62)
	for range runs {
		start := time.Now()
		work()
		best = min(best, time.Since(start))
	}
	return best.Nanoseconds()
}

func hashes(name string) []tlog.Hash {
	var all []tlog.Hash
	for _, line := range strings.Fields(string(read(name))) {
		hash, err := tlog.ParseHash(line)
		check(err)
		all = append(all, hash)
	}
	return all
}

func read(name string) []byte {
	bytes, err := os.ReadFile(filepath.Join(folder, name))
	check(err)
	return bytes
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
