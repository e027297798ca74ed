package library

import "time"

func Wait(done <-chan struct{}) {
	time.Sleep(time.Second) // want `nosleep: .*`
	select {
	case <-time.After(time.Second):
	case <-done:
	}
}
