"""What the tests share: server processes, loops with a guard, programs in a process of their own."""
