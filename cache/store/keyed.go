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
	mac := hmac.New(sha256.New, key[:])
	for _, p := range parts {
		mac.Write(appendString(nil, p)) // never fails (hash.Hash)
	}
	return mac.Sum(nil)[:16]
}

// Seal returns what stands for a digest of BuildKit's, which is a plain hash over
// values: [Store.Digest] of it in as few bytes as there are.
func (s *Store) Seal(digest string) string { return string(mac(s.key, digest)) }
