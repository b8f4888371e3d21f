// Sweeper sweeps.
package main

import (
	"log"
	"time"

	"example.com/depot/internal/store"
)

func main() {
	for range time.Tick(time.Second) {
		log.Print("sweep ", store.Name())
	}
}
