package store

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
)

// keyed returns a digest by which values can be compared that must not be stored. It
// depends on a key, since otherwise a short value could be found by trying.
func keyed(key [32]byte, parts ...string) string { return hex.EncodeToString(mac(key, parts...)) }

// mac returns an HMAC of the parts, of 16 bytes.
func mac(key [32]byte, parts ...string) []byte {
	h := hmac.New(sha256.New, key[:])
	for _, p := range parts {
		h.Write(appendString(nil, p)) // never fails (hash.Hash)
	}
	return h.Sum(nil)[:16]
}

// Digest returns a digest of a value that must not be stored itself. It is the same
// whenever this store is opened, and different in every other store.
func (s *Store) Digest(value string) string { return keyed(s.key, value) }

// Seal returns what is stored in place of one of BuildKit's digests, which are plain
// hashes over values of args: its [Store.Digest], as 16 bytes.
func (s *Store) Seal(digest string) string { return string(mac(s.key, digest)) }
