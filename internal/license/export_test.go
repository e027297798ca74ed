package license

import "crypto/ed25519"

// PrivateOf lets tests sign payloads that Issue would refuse.
func PrivateOf(key SigningKey) ed25519.PrivateKey { return key.private }
