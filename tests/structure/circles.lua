--- The circles of calls inside a folder that there are for now: its folder, the files of it that all
--- reach each other, and why. A circle that is not here fails the check, and so does one that is here
--- and has become smaller: this list only gets shorter.

return {
  { "bind", "op result run run_answer run_error run_many runtime",
    "A run of a script reads its result and its errors; what it waits for wakes it, and its end may end the runtime." },
}
