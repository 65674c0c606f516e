"use strict";

// Stands where an addon is expected, and is of another version.

exports.version = () => "9.9.9";
