// Package store names the store.
package store

import "golang.org/x/sync/singleflight"

var group singleflight.Group

// Name is its name.
func Name() string {
	v, _, _ := group.Do("name", func() (any, error) { return "depot", nil })
	return v.(string)
}
