// Prints, for each url of its input, the proxy that Go takes from the environment.
package main

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
)

func main() {
	urls := bufio.NewScanner(os.Stdin)
	for urls.Scan() {
		request, err := http.NewRequest("GET", urls.Text(), nil)
		if err != nil {
			panic(err)
		}
		proxy, err := http.ProxyFromEnvironment(request)
		if err != nil {
			panic(err)
		}
		if proxy == nil {
			fmt.Println("-")
		} else {
			fmt.Println(proxy)
		}
	}
}
