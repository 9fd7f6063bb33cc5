"""Groups messages by the template that they were written from, knowing none beforehand.

`tokens` reads a message as a shape: its words, with what varies by its looks (numbers with units,
hosts and ports, paths, ids, times) taken out and optional or repeated parts folded. `refining`
compares the shapes of many messages and decides position by position whether the words that
differ there are constants or values of a variable. `miner` does both over a stream, buffer by
buffer. `explaining` says in words why the members of a group are together.
"""
