package sweep

import "time"

// SetNow gives a service another clock.
func (s *Service) SetNow(now func() time.Time) { s.now = now }
