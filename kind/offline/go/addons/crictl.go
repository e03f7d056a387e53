package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// crictl knows what `kind load` asks a node for, and the list of images for a person.
func crictl(ctx context.Context, words []string) error {
	ctx, stop := context.WithTimeout(ctx, 30*time.Second)
	defer stop()
	connection, err := grpc.NewClient("unix:///run/containerd/containerd.sock",
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	images := cri.NewImageServiceClient(connection)
	switch {
	case len(words) == 1 && words[0] == "images":
		return listImages(ctx, images)
	case len(words) > 1 && words[0] == "inspecti":
		return inspectImage(ctx, images, words[len(words)-1])
	case len(words) > 1 && words[0] == "rmi":
		_, err := images.RemoveImage(ctx, &cri.RemoveImageRequest{Image: &cri.ImageSpec{Image: words[len(words)-1]}})
		return err
	}
	return fmt.Errorf("known are: images, inspecti IMAGE, rmi IMAGE")
}

func listImages(ctx context.Context, images cri.ImageServiceClient) error {
	list, err := images.ListImages(ctx, &cri.ListImagesRequest{})
	if err != nil {
		return err
	}
	for _, image := range list.Images {
		fmt.Println(image.Id, image.Size, strings.Join(image.RepoTags, " "))
	}
	return nil
}

func inspectImage(ctx context.Context, images cri.ImageServiceClient, name string) error {
	found, err := images.ImageStatus(ctx, &cri.ImageStatusRequest{Image: &cri.ImageSpec{Image: name}})
	if err != nil {
		return err
	}
	if found.Image == nil {
		return fmt.Errorf("no image %q", name)
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"status": map[string]any{"id": found.Image.Id, "repoTags": found.Image.RepoTags, "repoDigests": found.Image.RepoDigests},
	})
}
