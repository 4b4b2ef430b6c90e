--- The circles of calls inside a folder that there are for now: its folder, the files of it that all
--- reach each other, and why. A circle that is not here fails the check, and so does one that is here
--- and has become smaller: this list only gets shorter.

return {
  { "bind", "api op result run run_answer run_error run_many runtime",
    "A run of a script calls what scripts can call, which hand their results back to the run." },
}
