// Added to the tests of cmd/go by an overlay: the module requests of its script tests go through a mirror.

package main_test

import (
	"bufio"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"syscall"
	"testing"
)

// Paths whose answer is a fault on purpose, and the database itself: they stay with the test proxy.
var staysWithOrigin = regexp.MustCompile(`^/mod/(sumdb-[a-z0-9]+|redirect|invalid|quiet|[0-9]+)/`)

// TestThroughMirror starts the test proxy, the program $SUMGATE as a mirror of it, and runs all script tests with the two.
func TestThroughMirror(t *testing.T) {
	StartProxy()
	origin := "http://" + *proxyAddr
	mirror := startMirror(t, origin)
	through := httputil.NewSingleHostReverseProxy(mirror)
	front, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	go http.Serve(front, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if staysWithOrigin.MatchString(r.URL.Path) {
			proxyHandler(w, r)
		} else {
			through.ServeHTTP(w, r)
		}
	}))
	proxyURL = "http://" + front.Addr().String() + "/mod"
	t.Run("scripts", TestScript)
}

// startMirror returns the URL of the mirror, which ends when all script tests have.
func startMirror(t *testing.T, origin string) *url.URL {
	command := exec.Command(os.Getenv("SUMGATE"), "serve", "--listen", "127.0.0.1:0", "--base-path", "/mod",
		"--upstream", origin+"/mod", "--anchor", "none", "--data", t.TempDir(),
		"--sumdb", testSumDBVerifierKey+" "+origin+"/mod/sumdb-direct")
	command.Stderr = os.Stderr
	// It ends with the thread that started it, so it does not outlive a test that is killed.
	runtime.LockOSThread()
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		command.Process.Kill()
		command.Wait()
	})
	address := regexp.MustCompile(`http://127\.0\.0\.1:[0-9]+`)
	for lines := bufio.NewScanner(output); lines.Scan(); {
		if found := address.FindString(lines.Text()); found != "" {
			mirror, err := url.Parse(found)
			if err != nil {
				t.Fatal(err)
			}
			return mirror
		}
	}
	t.Fatal("the mirror ended before it printed its address")
	return nil
}
