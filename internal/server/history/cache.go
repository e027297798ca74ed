package history

import (
	"container/list"
	"sync"
)

// cache keeps what was used last, up to a number of bytes. What it holds must never be changed. Safe for concurrent use.
type cache struct {
	mu      sync.Mutex
	limit   int
	size    int
	entries map[any]*list.Element
	order   list.List // the front was used last
}

type entry struct {
	key, value any
	size       int
}

func newCache(limit int) *cache { return &cache{limit: limit, entries: map[any]*list.Element{}} }

// get returns what put kept.
func (c *cache) get(key any) (any, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[key]
	if !ok {
		return nil, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*entry).value, true
}

// entryOverhead is what an entry takes beside its value.
const entryOverhead = 256

// put keeps a value of so many bytes, unless it alone would fill a quarter of the cache.
func (c *cache) put(key, value any, size int) {
	size += entryOverhead
	if size > c.limit/4 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.entries[key]; ok {
		c.drop(e)
	}
	c.entries[key] = c.order.PushFront(&entry{key: key, value: value, size: size})
	c.size += size
	for c.size > c.limit {
		c.drop(c.order.Back())
	}
}

func (c *cache) drop(e *list.Element) {
	dropped := c.order.Remove(e).(*entry)
	delete(c.entries, dropped.key)
	c.size -= dropped.size
}
