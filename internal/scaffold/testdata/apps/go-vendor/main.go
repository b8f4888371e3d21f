// Stamp prints a stamp every second.
package main

import (
	"fmt"
	"time"

	"golang.org/x/sync/singleflight"
)

func main() {
	var group singleflight.Group
	for now := range time.Tick(time.Second) {
		stamp, _, _ := group.Do("stamp", func() (any, error) { return now.Format(time.RFC3339), nil })
		fmt.Println(stamp)
	}
}
