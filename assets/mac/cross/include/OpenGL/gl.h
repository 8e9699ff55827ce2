// The types of OpenGL that are in what GLFW declares.
#pragma once
#define __gl_h_
typedef unsigned int GLbitfield, GLenum, GLuint;
typedef int GLint, GLsizei;
typedef unsigned char GLboolean, GLubyte;
typedef float GLfloat;
