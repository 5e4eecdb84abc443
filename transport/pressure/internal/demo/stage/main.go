// Command stage plays the scenes of package demo until it is interrupted: something
// to try sluicetop on. It prints the process to look at.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"

	"github.com/sluice-net/sluice/transport/pressure/internal/demo"
)

func main() {
	demo.Main()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	server, err := demo.Start()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("pid", server.PID)
	for _, name := range demo.Scenes {
		fmt.Println(server.At[name], name)
	}
	if err := demo.Peers(ctx, server.At); err != nil {
		log.Print(err)
	}
	if err := server.Stop(); err != nil {
		log.Fatal(err)
	}
}
