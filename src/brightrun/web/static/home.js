// The first page: tells when a job ends while one looks elsewhere.
import { watchJobs } from "./notify.js";

watchJobs();
