package server

import (
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// lastByte is when a connection last brought data: the system knows how long it has lain there. Where it does not tell, it
// is now.
func lastByte(c net.Conn) time.Time {
	now := time.Now()
	socket, ok := c.(syscall.Conn)
	if !ok {
		return now
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return now
	}
	var info *unix.TCPInfo
	var failure error
	err = raw.Control(func(fd uintptr) {
		info, failure = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	})
	if err != nil || failure != nil {
		return now
	}
	return now.Add(-time.Duration(info.Last_data_recv) * time.Millisecond)
}
