"""What happens in the processes beside the kernel: the template, each run until its Hand's code begins, and compilers."""
