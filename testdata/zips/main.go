// Writes a module zip of some kind with archive/zip and prints its h1, computed with the standard library alone.
package main

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"sort"
	"strings"
)

func main() {
	kind, path := os.Args[1], os.Args[2]
	files := map[string]string{"go.mod": "module example.com/m\n", "LICENSE": strings.Repeat("free ", 1000)}
	switch kind {
	case "small":
		files["dir/"] = ""
		files["dir/sub/ä file.go"] = "package sub\n"
		files["empty"] = ""
	case "many":
		for i := range 66000 {
			files[fmt.Sprintf("d%d/f%d.txt", i%100, i)] = fmt.Sprint(i)
		}
	}
	f, err := os.Create(path)
	check(err)
	w := zip.NewWriter(f)
	var names []string
	for name := range files {
		names = append(names, name)
	}
	sort.Strings(names)
	var list strings.Builder
	for _, name := range names {
		full := "example.com/m@v1.2.3/" + name
		header := &zip.FileHeader{Name: full, Method: zip.Deflate}
		if kind == "stored" {
			header.Method = zip.Store
		}
		e, err := w.CreateHeader(header)
		check(err)
		if !strings.HasSuffix(name, "/") {
			_, err = e.Write([]byte(files[name]))
			check(err)
		}
		fmt.Fprintf(&list, "%x  %s\n", sha256.Sum256([]byte(files[name])), full)
	}
	check(w.Close())
	check(f.Close())
	sum := sha256.Sum256([]byte(list.String()))
	fmt.Println("h1:" + base64.StdEncoding.EncodeToString(sum[:]))
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
