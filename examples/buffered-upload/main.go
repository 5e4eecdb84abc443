// Command buffered-upload receives uploads straight into registered memory and
// prints the SHA-256 and the rate of each:
//
//	buffered-upload -listen 127.0.0.1:9000 &
//	nc -N 127.0.0.1 9000 < file
//	sha256sum file
package main

import (
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"hash"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// upload hashes what one connection sends. Its buffer belongs to the kernel from
// GetBuffer to BufferUpdated.
type upload struct {
	protocol.Base
	loop      *loop.Loop
	transport transport.Transport
	buf       []byte
	sum       hash.Hash
	size      int64
	began     time.Time
}

func (u *upload) ConnectionMade(t transport.Transport) {
	u.transport = t
	u.buf = u.loop.AllocBuffer(256 << 10)
	u.sum = sha256.New()
	u.began = time.Now()
}

func (u *upload) GetBuffer(sizeHint int) []byte { return u.buf }

func (u *upload) BufferUpdated(n int) {
	u.sum.Write(u.buf[:n])
	u.size += int64(n)
}

func (u *upload) EOFReceived() (keepOpen bool) {
	took := time.Since(u.began)
	line := fmt.Sprintf("%x  %d bytes, %.0f MB/s\n",
		u.sum.Sum(nil), u.size, float64(u.size)/1e6/took.Seconds())
	fmt.Print(line)
	u.transport.Write([]byte(line))
	return false
}

// ConnectionLost comes when the kernel has let go of the buffer.
func (u *upload) ConnectionLost(err error) {
	if err != nil {
		fmt.Println("upload failed:", err)
	}
	u.loop.FreeBuffer(u.buf)
}

func main() {
	addr := flag.String("listen", "127.0.0.1:9000", "address to listen on")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := loop.Run(ctx, func(ctx context.Context, l *loop.Loop) error {
		factory := func() protocol.Protocol { return protocol.Buffered(&upload{loop: l}) }
		server, err := l.CreateServer(ctx, factory, *addr, nil)
		if err != nil {
			return err
		}
		fmt.Println("Receiving uploads on", server.Addrs()[0], "with", l.Why())
		return server.ServeForever(ctx)
	})
	if err != nil && ctx.Err() == nil {
		log.Fatal(err)
	}
}
