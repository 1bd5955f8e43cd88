// The yardstick for benches/hash.rs: the h1 of a module zip with nothing but Go's standard library, which is what the
// go command itself does (golang.org/x/mod/sumdb/dirhash, HashZip).
//
// usage: hashzip RUNS ZIP
//
// Prints the hash, and the best time of so many runs in microseconds.
package main

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"sort"
	"strconv"
	"time"
)

func main() {
	runs, err := strconv.Atoi(os.Args[1])
	check(err)
	best := time.Duration(1 << 62)
	var h1 string
	for range runs {
		start := time.Now()
		h1 = hash(os.Args[2])
		best = min(best, time.Since(start))
	}
	fmt.Println(h1, best.Microseconds())
}

func hash(path string) string {
	archive, err := zip.OpenReader(path)
	check(err)
	defer archive.Close()
	byName := make(map[string]*zip.File)
	var names []string
	for _, file := range archive.File {
		byName[file.Name] = file
		names = append(names, file.Name)
	}
	sort.Strings(names)
	list := sha256.New()
	for _, name := range names {
		content, err := byName[name].Open()
		check(err)
		one := sha256.New()
		_, err = io.Copy(one, content)
		check(err)
		content.Close()
		fmt.Fprintf(list, "%x  %s\n", one.Sum(nil), name)
	}
	return "h1:" + base64.StdEncoding.EncodeToString(list.Sum(nil))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
