// Asks golang.org/x/mod, which is part of the go command, what it says about generated inputs.
//
//	go run . patterns N      GONOSUMDB-like lists, module paths: does module.MatchPrefixPatterns match?
//	go run . versions N      is it canonical, is it module.IsPseudoVersion, what is its commit?
//	go run . modules N       module paths with versions: module.CheckPath, module.Check
//	go run . names N [DIR]   lists of file names in a zip: zip.CheckZip, and dirhash.HashZip; keeps them as DIR/0.zip, DIR/1.zip, …
//	go run . letters|folds   the tables src/unicode/letters.rs and folds.rs
//	go run . unicode         hashes of unicode.IsLetter and of the case folding in x/mod/zip, over all code points
//
// The files *.txt beside this one are its output for N = 600, by go1.27.3. It needs a copy of x/mod: either
// `go mod init agreement && go get golang.org/x/mod`, or the one in GOROOT/src/cmd/vendor.
package main

import (
	"archive/zip"
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
	"golang.org/x/mod/sumdb/dirhash"
	modzip "golang.org/x/mod/zip"
)

var (
	random = rand.New(rand.NewSource(27))
	zips   = 0
	out    = bufio.NewWriter(os.Stdout)
)

func main() {
	defer out.Flush()
	kinds := map[string]func(){"patterns": pattern, "versions": version, "modules": modules, "names": names}
	switch os.Args[1] {
	case "letters":
		letters()
	case "folds":
		folds()
	case "unicode":
		hashes()
	default:
		n, err := strconv.Atoi(os.Args[2])
		check(err)
		for range n {
			kinds[os.Args[1]]()
		}
	}
}

func one(of ...string) string { return of[random.Intn(len(of))] }

func often(percent int) bool { return random.Intn(100) < percent }

// Up to n of them, with a separator between them.
func some(n int, separator string, make func() string) string {
	parts := []string{}
	for range 1 + random.Intn(n) {
		parts = append(parts, make())
	}
	return strings.Join(parts, separator)
}

func line(fields ...any) {
	for i, field := range fields {
		if i > 0 {
			out.WriteByte('\t')
		}
		fmt.Fprint(out, field)
	}
	out.WriteByte('\n')
}

func pattern() {
	element := func() string { return one("a", "b", "ab", "abc", "aXb", "c.d", "a-b") }
	path := one("a.b", "x.org", "github.com") + "/" + some(3, "/", element)
	if often(20) {
		path = one("a.b", "x.org")
	}
	glob := func() string {
		text := []rune(path)
		if often(40) {
			text = []rune(one("a.b", "x.org", "*.org", "*", "github.com", "[a-x]*.?*", "") + "/" + some(3, "/", element))
		}
		// Some random changes, most of which have a meaning in a glob.
		for range random.Intn(4) {
			change := one("*", "?", "[a-c]", "[^a]", "[^/]", "[/]", "[]", "[", "]", "[a", "[a-]", "[\\]]", "\\", "\\a", "/", "//",
				"-", " ", "^", "[a-", "[z-a]", "**", "a", "A", "\u00a0", "[^é]", "é", "[\\", "[^", ".")
			at := random.Intn(len(text) + 1)
			end := min(len(text), at+random.Intn(3))
			text = []rune(string(text[:at]) + change + string(text[end:]))
		}
		return strings.Repeat(" ", max(0, random.Intn(8)-6)) + string(text) + one("", "", "", "", "/", "//", " ")
	}
	globs := some(3, ",", glob) + one("", "", "", ",", ",,")
	line(globs, path, module.MatchPrefixPatterns(globs, path))
}

func digits(n int) string {
	text := ""
	for range n {
		text += strconv.Itoa(random.Intn(10))
	}
	return text
}

func someVersion() string {
	number := func() string {
		if often(4) {
			return one("01", "")
		}
		return one("0", "0", "0", "1", "2", "3", "10")
	}
	numbers := one("v", "v", "v", "v", "v", "v", "v", "v", "v", "v", "v", "", "V") + number() + "." + number()
	if often(97) {
		numbers += "." + number()
	}
	time := digits([]int{14, 14, 14, 14, 14, 13, 15, 8}[random.Intn(8)])
	commit := some(1, "", func() string {
		text := ""
		for range []int{12, 12, 12, 12, 12, 11, 13, 40, 7, 0}[random.Intn(10)] {
			text += one("0", "1", "7", "a", "b", "f", "F", "z", "Z")
		}
		return text
	})
	suffix := one("", "", "", "", "-", "-0.", "-rc.0.", "-", "-0.", "-0.", "-rc.0.", "-rc.1.", "-rc0.", "-a-b.0.", "-0.0.", "-.0.", "-00.", "-x.", "-alpha-0.")
	if suffix != "" {
		suffix += time + one("-", "-", "-", "-", "-", "-", ".", "") + commit
	} else if often(50) {
		suffix = one("-rc.1", "-01", "-a..b", "-0", "-", "-x-y", "-"+time, "-rc-1.2", "-é")
	}
	return numbers + suffix + one("", "", "", "", "", "+incompatible", "+incompatible", "+meta", "+", "+a.b", " ")
}

func version() {
	text := someVersion()
	canonical := semver.IsValid(text) && module.CanonicalVersion(text) == text
	commit, _ := module.PseudoVersionRev(text)
	line(text, semver.IsValid(text), canonical, module.IsPseudoVersion(text), commit)
}

func modules() {
	element := func() string {
		if often(70) {
			return one("a", "b", "x.v1", "x.v2", "v2", "v3", "v10")
		}
		return one("Azure", "a-b", "a.b", ".a", "a.", "", "con", "Aux.go", "a~1", "a~b", "é", "a b", "a+b", "v", "v1", "v2",
			"v02", "v2.0", "v10", "x.v1", "x.v2", "x.v0", "x.v01", "x.v2-unstable", "x.v1-unstable", "..", "lpt9", "com0")
	}
	path := one("example.com", "example.com", "gopkg.in", "gopkg.in", "github.com", "gopkg.in", "example", "Example.com", "-a.com", "x_y.com", "github.com") + "/" + some(3, "/", element)
	if often(5) {
		path = one("example.com", "gopkg.in", "example", ".com", "a.")
	}
	text := one("v0.0.0", "v1.0.0", "v2.0.0", "v3.1.0", "v2.0.0", "v10.0.0") + one("", "", "+incompatible", "-rc", "-0")
	if often(40) {
		text = someVersion()
	}
	if often(20) {
		text = "v0.0.0-" + digits(14) + "-0123456789ab"
	}
	canonical := semver.IsValid(text) && module.CanonicalVersion(text) == text
	line(path, text, module.CheckPath(path) == nil, canonical && module.Check(path, text) == nil)
}

func names() {
	const prefix = "example.com/m@v1.0.0/"
	element := func() string {
		if often(75) {
			return one("a", "A", "b", "go.mod", "k", "s", "S", "LICENSE", "d", "e")
		}
		return one("\u212a", "ſ", "ǅ", "Ǆ", "ς", "σ", "İ", "ı", "i", "ß", "ẞ", "é", "É", "ⅷ", "\u0345", "日", "𐐀", "𐐨", "Ꞌ", "ɥ",
			"", ".", "..", ".a", "a.", "con", "COM1.txt", "nul", "a:b", "a*", "x~1", "a b", "a\x01b", "Go.mod", "GO.MOD", "!", "'", "١",
			"\u0301", "\U00031350", "\ufffd")
	}
	list := []string{}
	for range 1 + random.Intn(4) {
		name := some(3, "/", element) + one("", "", "", "", "", "/")
		if often(2) {
			name = one("/"+name, "")
		}
		list = append(list, name)
	}
	folder := os.TempDir()
	if len(os.Args) > 3 {
		folder = os.Args[3]
	}
	file, err := os.Create(filepath.Join(folder, fmt.Sprint(zips)+".zip"))
	check(err)
	zips++
	w := zip.NewWriter(file)
	for i, name := range list {
		entry, err := w.Create(prefix + name)
		check(err)
		if !strings.HasSuffix(name, "/") {
			fmt.Fprint(entry, i)
		}
	}
	check(w.Close())
	check(file.Close())
	checked, err := modzip.CheckZip(module.Version{Path: "example.com/m", Version: "v1.0.0"}, file.Name())
	h1 := ""
	if err == nil && checked.Err() == nil {
		h1, err = dirhash.HashZip(file.Name(), dirhash.Hash1)
		check(err)
	}
	line(strings.Join(list, "|"), h1 != "", h1)
	if len(os.Args) <= 3 {
		check(os.Remove(file.Name()))
	}
}

func head(what string) {
	line("//! " + what + " in Unicode " + unicode.Version + ".")
	line("//!")
	line("//! Generated by `go run .` in testdata; do not edit.")
	line("")
}

func letters() {
	head("The letters (category L) beyond ASCII")
	line("/// The first and the last code point of each run of letters.")
	line("#[rustfmt::skip]")
	line("pub(super) const LETTERS: &[(u32, u32)] = &[")
	row := []string{}
	for r := rune(128); r <= unicode.MaxRune; r++ {
		if !unicode.IsLetter(r) {
			continue
		}
		first := r
		for unicode.IsLetter(r + 1) {
			r++
		}
		row = append(row, fmt.Sprintf("(%#x, %#x)", first, r))
	}
	rows(row)
	line("];")
}

func rows(items []string) {
	for len(items) > 0 {
		n := min(6, len(items))
		line("    " + strings.Join(items[:n], ", ") + ",")
		items = items[n:]
	}
}

// The case folding of x/mod/zip, which does not export it: the least character that differs in case only, but a lower case
// ASCII letter for an upper case one.
func fold(r rune) rune {
	for next := unicode.SimpleFold(r); ; next = unicode.SimpleFold(r) {
		if next <= r {
			r = next
			break
		}
		r = next
	}
	if 'A' <= r && r <= 'Z' {
		r += 'a' - 'A'
	}
	return r
}

func folds() {
	head("Case folding beyond ASCII")
	line("/// Runs of code points: the first, the last, the step between them, and what folding adds to each.")
	line("#[rustfmt::skip]")
	line("pub(super) const FOLDS: &[(u32, u32, u32, i32)] = &[")
	row := []string{}
	for r := rune(128); r <= unicode.MaxRune; r++ {
		delta := fold(r) - r
		if delta == 0 {
			continue
		}
		first, step := r, rune(1)
		if fold(r+1)-(r+1) != delta && fold(r+2)-(r+2) == delta {
			step = 2
		}
		for fold(r+step)-(r+step) == delta && (step == 1 || fold(r+1) == r+1) {
			r += step
		}
		row = append(row, fmt.Sprintf("(%#x, %#x, %d, %d)", first, r, step, delta))
	}
	rows(row)
	line("];")
}

func hashes() {
	ofLetters, ofFolds, count := sha256.New(), sha256.New(), 0
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if 0xd800 <= r && r < 0xe000 {
			continue
		}
		if unicode.IsLetter(r) {
			count++
			check(binary.Write(ofLetters, binary.LittleEndian, r))
		}
		check(binary.Write(ofFolds, binary.LittleEndian, fold(r)))
	}
	line("unicode", unicode.Version)
	line("letters", count, fmt.Sprintf("%x", ofLetters.Sum(nil)))
	line("folds", fmt.Sprintf("%x", ofFolds.Sum(nil)))
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
