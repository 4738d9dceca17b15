return record(A.operation)
