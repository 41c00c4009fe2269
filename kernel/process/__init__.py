"""What happens in the processes beside the kernel: the template, and each run until its Hand's code begins."""
