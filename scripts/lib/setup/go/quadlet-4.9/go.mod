module mini-api/quadlet-4.9

go 1.21

require (
	github.com/containers/podman/v4 v4.9.5
	github.com/containers/storage v1.51.0 // indirect
)
