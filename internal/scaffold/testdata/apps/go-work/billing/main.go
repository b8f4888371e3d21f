// Billing bills.
package main

import (
	"log"
	"net/http"

	"example.com/shared"
	"github.com/google/uuid"
)

func main() {
	log.Fatal(http.ListenAndServe(":8084", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(shared.Greeting + uuid.NewString()))
	})))
}
