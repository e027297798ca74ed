package library

import (
	"fmt"
	"log"
	"os"
)

func Greet() {
	fmt.Println("hello")            // want `noprint: .*`
	log.Printf("hello")             // want `noprint: .*`
	fmt.Fprintln(os.Stderr, "fine") // the caller's choice of writer is visible
	printer{}.Println("a method of our own")
}

type printer struct{}

func (printer) Println(...any) {}
