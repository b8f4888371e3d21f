// Command links serves short links on port 8080.
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"

	"shop.example/links/internal/store"
)

func main() {
	links := store.New()
	http.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 4096))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		fmt.Fprintln(w, links.Add(string(body)))
	})
	http.HandleFunc("GET /{id}", func(w http.ResponseWriter, r *http.Request) {
		if to, ok := links.Get(r.PathValue("id")); ok {
			http.Redirect(w, r, to, http.StatusFound)
			return
		}
		http.NotFound(w, r)
	})
	log.Fatal(http.ListenAndServe(":8080", nil))
}
