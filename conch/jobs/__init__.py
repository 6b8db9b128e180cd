"""What jobs do, one module for each kind; imported only in the process of a job, since most pull in heavy packages."""
