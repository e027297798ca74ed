package library

var ready bool

func init() { ready = true } // want `noinit: .*`

type engine struct{}

func (engine) init() bool { return ready }

var _ = engine.init
