package forward

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"
)

func listenLoopback(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}

func TestHalfClosedConnectionsPassThrough(t *testing.T) {
	target, front := listenLoopback(t), listenLoopback(t)
	go func() {
		for {
			conn, err := target.Accept()
			if err != nil {
				return
			}
			go func() {
				// Answers only after the client has sent everything.
				content, _ := io.ReadAll(conn)
				_, _ = conn.Write(append([]byte("got "), content...))
				_ = conn.Close()
			}()
		}
	}()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- Serve(ctx, []net.Listener{front}, []string{target.Addr().String()}, slog.New(slog.DiscardHandler))
	}()
	conn, err := net.Dial("tcp", front.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("question")); err != nil {
		t.Fatal(err)
	}
	half, ok := conn.(*net.TCPConn)
	if !ok {
		t.Fatal("not a TCP connection")
	}
	if err := half.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || string(answer) != "got question" {
		t.Errorf("answer = %q, %v", answer, err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Serve = %v", err)
	}
}

func TestUnreachableTargetClosesTheConnection(t *testing.T) {
	closed, front := listenLoopback(t), listenLoopback(t)
	address := closed.Addr().String()
	_ = closed.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { _ = Serve(ctx, []net.Listener{front}, []string{address}, slog.New(slog.DiscardHandler)) }()
	conn, err := net.Dial("tcp", front.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if content, err := io.ReadAll(conn); err != nil || len(content) != 0 {
		t.Errorf("read = %q, %v; want the end", content, err)
	}
}
