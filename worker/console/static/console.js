// Nothing needs this script: without it pages are as they were when they were loaded.
"use strict";
