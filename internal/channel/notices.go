package channel

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

// notices hands keys over to a receiver that may be slow or absent: it never blocks its callers, and holds each key at
// most once.
type notices struct {
	out  chan types.NamespacedName
	wake chan struct{}
	quit chan struct{}

	mu      sync.Mutex
	waiting []types.NamespacedName
	held    map[types.NamespacedName]bool
}

func newNotices() *notices {
	return &notices{
		out: make(chan types.NamespacedName), wake: make(chan struct{}, 1), quit: make(chan struct{}),
		held: map[types.NamespacedName]bool{},
	}
}

func (n *notices) add(key types.NamespacedName) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.held[key] {
		return
	}
	n.held[key] = true
	n.waiting = append(n.waiting, key)
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

func (n *notices) next() (types.NamespacedName, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.waiting) == 0 {
		return types.NamespacedName{}, false
	}
	key := n.waiting[0]
	n.waiting = n.waiting[1:]
	delete(n.held, key)
	return key, true
}

// run delivers until stop. A key taken from the queue may be queued again before it is delivered: a change that happens
// then is not lost.
func (n *notices) run() {
	defer close(n.out)
	for {
		key, ok := n.next()
		if !ok {
			select {
			case <-n.wake:
				continue
			case <-n.quit:
				return
			}
		}
		select {
		case n.out <- key:
		case <-n.quit:
			return
		}
	}
}

// stop is called once.
func (n *notices) stop() { close(n.quit) }
