package account

import "context"

type contextKey struct{}

// WithUser returns a context of a request that this user made.
func WithUser(ctx context.Context, u User) context.Context {
	return context.WithValue(ctx, contextKey{}, u)
}

// FromContext returns the user who made the request; ok is false for an anonymous one.
func FromContext(ctx context.Context) (u User, ok bool) {
	u, ok = ctx.Value(contextKey{}).(User)
	return u, ok
}
