"""The one writer: commands are verified, run, journaled and answered with a receipt; batches are cut, proved and posted."""
