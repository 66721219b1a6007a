"""The testbed's AWS: STS, ECR with its registry, EKS, and GitHub's issuer of identity tokens.

Real clients reach it under true host names, through a TLS front. It is test equipment, no AWS: resource
policies, session policies and conditions of identity policies are not evaluated.
"""
