package store

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
)

// keyed is the digest under which values are told apart that must not be stored:
// without the key, a short value could be found by trying.
func keyed(key [32]byte, parts ...string) string { return hex.EncodeToString(mac(key, parts...)) }

func mac(key [32]byte, parts ...string) []byte {
	h := hmac.New(sha256.New, key[:])
	for _, p := range parts {
		h.Write(appendString(nil, p)) // never fails (hash.Hash)
	}
	return h.Sum(nil)[:16]
}

// Digest tells values apart that must not be stored.
func (s *Store) Digest(value string) string { return keyed(s.key, value) }

// Seal returns what stands for a digest of BuildKit's, which is a plain hash over
// values: its [Store.Digest], as bytes.
func (s *Store) Seal(digest string) string { return string(mac(s.key, digest)) }
