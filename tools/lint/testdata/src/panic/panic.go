package library

func Divide(a, b int) int {
	if b == 0 {
		panic("division by zero") // want `nopanic: .*`
	}
	return a / b
}

func Shadowed(panic func(string)) { panic("not the builtin") }
