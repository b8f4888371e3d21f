// Command probe is the part of stoker that smoke tests start in containers, small enough to be compiled for each test
// run, and a server to be probed in an image with nothing else in it.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/stokerd/stoker/internal/probe"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == "smoke-probe" {
		var s probe.Spec
		if err := json.Unmarshal([]byte(os.Args[2]), &s); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		_ = json.NewEncoder(os.Stdout).Encode(probe.Run(context.Background(), s))
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "well") })
	server := &http.Server{Addr: ":" + os.Args[1], Handler: mux}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	fmt.Println("listening")
	_ = server.ListenAndServe()
}
