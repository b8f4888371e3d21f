// Package store keeps links in memory.
package store

import (
	"strings"
	"sync"

	"github.com/google/uuid"
)

// Store maps ids to addresses. It is safe for concurrent use.
type Store struct {
	mu    sync.RWMutex
	links map[string]string
}

// New returns an empty Store.
func New() *Store { return &Store{links: map[string]string{}} }

// Add keeps an address and returns its id.
func (s *Store) Add(address string) string {
	id := uuid.NewString()[:8]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.links[id] = strings.TrimSpace(address)
	return id
}

// Get returns the address of an id.
func (s *Store) Get(id string) (string, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	to, ok := s.links[id]
	return to, ok
}
