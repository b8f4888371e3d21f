// Depot serves the depot.
package main

import (
	"log"
	"net/http"

	"example.com/depot/internal/store"
)

func main() {
	log.Fatal(http.ListenAndServe(":8083", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(store.Name()))
	})))
}
