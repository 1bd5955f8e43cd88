// The yardstick for benches/audit.rs: a go.sum held against a checksum database with the client that the go command has
// (golang.org/x/mod/sumdb), one goroutine for each line, nothing remembered: what golang.org/x/mod/gosumcheck does.
//
// usage: gosumcheck KEY URL GO.SUM
//
// Prints the number of lines that agree, the requests made, and the time in microseconds, without the start of the process.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/mod/sumdb"
)

// database is what the client knows of the world: a server, and a head that lasts as long as the process.
type database struct {
	key, url string
	http     http.Client
	requests atomic.Int64

	mu     sync.Mutex
	latest []byte
}

func (d *database) ReadRemote(path string) ([]byte, error) {
	d.requests.Add(1)
	reply, err := d.http.Get(d.url + path)
	if err != nil {
		return nil, err
	}
	defer reply.Body.Close()
	if reply.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s", path, reply.Status)
	}
	// No answer of the database is larger than a full tile.
	return io.ReadAll(io.LimitReader(reply.Body, 1<<20))
}

func (d *database) ReadConfig(file string) ([]byte, error) {
	if file == "key" {
		return []byte(d.key), nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.latest, nil
}

func (d *database) WriteConfig(_ string, old, new []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !bytes.Equal(d.latest, old) {
		return sumdb.ErrWriteConflict
	}
	d.latest = new
	return nil
}

func (d *database) ReadCache(string) ([]byte, error) { return nil, errors.New("nothing is remembered") }
func (d *database) WriteCache(string, []byte)        {}
func (d *database) Log(string)                       {}
func (d *database) SecurityError(why string)         { fail(errors.New(why)) }

func main() {
	start := time.Now()
	d := &database{key: os.Args[1], url: os.Args[2], http: http.Client{Timeout: time.Minute}}
	client := sumdb.NewClient(d)
	text, err := os.ReadFile(os.Args[3])
	if err != nil {
		fail(err)
	}
	var agree atomic.Int64
	var all sync.WaitGroup
	for line := range strings.Lines(string(text)) {
		all.Go(func() {
			line := strings.TrimSpace(line)
			words := strings.Fields(line)
			// For MODULE VERSION/go.mod too the client gives the line of the go.mod alone.
			proved, err := client.Lookup(words[0], words[1])
			if err != nil {
				fail(err)
			}
			for _, one := range proved {
				if one == line {
					agree.Add(1)
				}
			}
		})
	}
	all.Wait()
	fmt.Println(agree.Load(), d.requests.Load(), time.Since(start).Microseconds())
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
